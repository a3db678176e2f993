package android.content.pm;

import phone.Phone;

public class ApplicationInfo {
    public String nativeLibraryDir = Phone.directory("lib").getPath();
}
