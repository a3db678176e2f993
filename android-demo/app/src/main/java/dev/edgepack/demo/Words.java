package dev.edgepack.demo;

import dev.edgepack.core.Problem;

/** What a problem is called in the user's language. */
final class Words {
    private Words() {
    }

    static int of(Problem problem) {
        switch (problem.kind()) {
            case NO_SPACE:
                return R.string.problem_no_space;
            case DAMAGED:
                return R.string.problem_damaged;
            case NO_MODEL:
                return R.string.problem_no_model;
            case RUNTIME_ENDED:
                return R.string.problem_runtime_ended;
            case RUNTIME_SILENT:
                return R.string.problem_runtime_silent;
            case REFUSED:
                return R.string.problem_refused;
            default:
                return R.string.problem_unreadable;
        }
    }
}
