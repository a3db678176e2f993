package dev.edgepack.demo;

import android.content.Context;
import android.content.Intent;
import android.content.IntentFilter;
import android.os.BatteryManager;
import android.os.Build;
import dev.edgepack.core.Benchmark;

/** The phone around a measurement. The battery's is the one temperature that every app may read. */
final class Phone implements Benchmark.Conditions {
    private static final double TENTHS = 10.0;

    private final Context context;

    Phone(Context context) {
        this.context = context;
    }

    @Override
    public String machine() {
        return Build.MANUFACTURER + " " + Build.MODEL;
    }

    @Override
    public String system() {
        return "Android " + Build.VERSION.RELEASE;
    }

    @Override
    public Double celsius() {
        Intent state = context.registerReceiver(null, new IntentFilter(Intent.ACTION_BATTERY_CHANGED));
        int tenths = state == null ? 0 : state.getIntExtra(BatteryManager.EXTRA_TEMPERATURE, 0);
        return tenths == 0 ? null : tenths / TENTHS;
    }
}
