package android.widget;

import android.view.View;

public class ProgressBar extends View {
    private int progress;

    public void setProgress(int progress) {
        this.progress = progress;
    }

    public int getProgress() {
        return progress;
    }
}
