package dev.edgepack.core;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;

/** What edgepack computes of samples, by the same definitions. */
final class Statistics {
    private Statistics() {
    }

    static double mean(List<Double> values) {
        double sum = 0;
        for (double value : values) {
            sum += value;
        }
        return sum / values.size();
    }

    /** Of a sample: divided by one less than there are; 0 for one. */
    static double deviation(List<Double> values) {
        double mean = mean(values);
        double sum = 0;
        for (double value : values) {
            sum += (value - mean) * (value - mean);
        }
        return values.size() < 2 ? 0 : Math.sqrt(sum / (values.size() - 1));
    }

    static double median(List<Double> values) {
        return quantile(sorted(values), 0.5);
    }

    /** The width of the middle half as a share of the median. */
    static double spread(List<Double> values) {
        List<Double> sorted = sorted(values);
        return (quantile(sorted, 0.75) - quantile(sorted, 0.25)) / quantile(sorted, 0.5);
    }

    private static double quantile(List<Double> sorted, double share) {
        double place = share * (sorted.size() - 1);
        int below = (int) Math.floor(place);
        int above = (int) Math.ceil(place);
        return sorted.get(below) + (place - below) * (sorted.get(above) - sorted.get(below));
    }

    private static List<Double> sorted(List<Double> values) {
        List<Double> sorted = new ArrayList<>(values);
        Collections.sort(sorted);
        return sorted;
    }
}
