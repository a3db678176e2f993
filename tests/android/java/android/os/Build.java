package android.os;

public class Build {
    public static final String MANUFACTURER = "edgepack";
    public static final String MODEL = "fake telephone";

    public static class VERSION {
        public static final String RELEASE = "15";
    }
}
