package dev.edgepack.demo;

import android.app.Application;
import android.os.Handler;
import android.os.Looper;
import dev.edgepack.core.Desk;
import dev.edgepack.core.Session;
import dev.edgepack.core.Supervisor;
import java.io.File;
import java.util.concurrent.Executors;

/** Holds the desk for as long as the process lives, whatever screens come and go. */
public final class DemoApplication extends Application {
    private Desk desk;

    /** On the main thread. */
    Desk desk() {
        if (desk == null) {
            Handler main = new Handler(Looper.getMainLooper());
            desk = new Desk(this::session, Executors.newSingleThreadExecutor(), main::post);
        }
        return desk;
    }

    private Session session(Supervisor.Listener states) {
        // Code may be started from the library directory alone: Android lets no app run what it wrote itself.
        File program = new File(getApplicationInfo().nativeLibraryDir, "libedgepack_server.so");
        String socket = new File(getCacheDir(), "edgepack.sock").getPath();
        File data = new File(getFilesDir(), "bundle");
        Session.Environment environment = new Session.Environment(new Assets(getAssets()), new Sockets(socket),
                program, data, getCacheDir(), getExternalFilesDir("bundle"), socket);
        return new Session(environment, Supervisor.PATIENT, states);
    }
}
