package android.widget;

import android.text.Editable;

public class EditText extends TextView {
    @Override
    public Editable getText() {
        String text = super.getText().toString();
        return new Editable() {
            @Override
            public int length() {
                return text.length();
            }

            @Override
            public char charAt(int at) {
                return text.charAt(at);
            }

            @Override
            public CharSequence subSequence(int from, int to) {
                return text.subSequence(from, to);
            }

            @Override
            public String toString() {
                return text;
            }
        };
    }
}
