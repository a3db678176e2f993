package android.view;

public class View {
    public static final int VISIBLE = 0;
    public static final int GONE = 8;

    /** Takes a touch. */
    public interface OnClickListener {
        void onClick(View view);
    }

    public View parent;
    private int visibility;
    private boolean enabled = true;
    private boolean selected;
    private OnClickListener listener;

    public void setOnClickListener(OnClickListener listener) {
        this.listener = listener;
    }

    /** As a finger: what is hidden or disabled cannot be touched. */
    public boolean performClick() {
        if (listener == null || !enabled || !isShown()) {
            return false;
        }
        listener.onClick(this);
        return true;
    }

    public void setVisibility(int visibility) {
        this.visibility = visibility;
    }

    public boolean isShown() {
        return visibility == VISIBLE && (parent == null || parent.isShown());
    }

    public void setEnabled(boolean enabled) {
        this.enabled = enabled;
    }

    public void setSelected(boolean selected) {
        this.selected = selected;
    }

    public boolean isSelected() {
        return selected;
    }
}
