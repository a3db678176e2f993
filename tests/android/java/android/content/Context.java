package android.content;

import android.content.pm.ApplicationInfo;
import android.content.res.AssetManager;
import java.io.File;
import phone.Phone;

public class Context {
    public ApplicationInfo getApplicationInfo() {
        return new ApplicationInfo();
    }

    public AssetManager getAssets() {
        return new AssetManager();
    }

    public File getFilesDir() {
        return Phone.directory("files");
    }

    public File getCacheDir() {
        return Phone.directory("cache");
    }

    public File getExternalFilesDir(String type) {
        return Phone.directory(type == null ? "external" : "external/" + type);
    }

    public final String getString(int id) {
        return Phone.string(id);
    }

    public final String getString(int id, Object... values) {
        return String.format(Phone.string(id), values);
    }

    public Intent registerReceiver(BroadcastReceiver receiver, IntentFilter filter) {
        Intent battery = new Intent();
        battery.putExtra("temperature", 287);
        return battery;
    }
}
