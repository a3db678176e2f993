package android.content.res;

import java.io.ByteArrayInputStream;
import java.io.FileNotFoundException;
import java.io.IOException;
import java.io.InputStream;
import java.util.zip.ZipEntry;
import java.util.zip.ZipFile;
import phone.Phone;

public final class AssetManager {
    public static final int ACCESS_STREAMING = 2;

    public InputStream open(String name, int mode) throws IOException {
        try (ZipFile apk = new ZipFile(Phone.APK)) {
            ZipEntry entry = apk.getEntry("assets/" + name);
            if (entry == null) {
                throw new FileNotFoundException(name);
            }
            return new ByteArrayInputStream(apk.getInputStream(entry).readAllBytes());
        }
    }
}
