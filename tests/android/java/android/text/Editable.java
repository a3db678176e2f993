package android.text;

/** In Android an interface: the app only reads it. */
public interface Editable extends CharSequence {
}
