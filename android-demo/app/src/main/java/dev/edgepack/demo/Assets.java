package dev.edgepack.demo;

import android.content.res.AssetManager;
import dev.edgepack.core.BundleFiles;
import java.io.IOException;
import java.io.InputStream;

/** The bundle in the app's assets. */
final class Assets implements BundleFiles.Source {
    private static final String SETTINGS = "app.json";

    private final AssetManager assets;

    Assets(AssetManager assets) {
        this.assets = assets;
    }

    @Override
    public InputStream open(String path) throws IOException {
        return assets.open(path.equals(SETTINGS) ? path : "bundle/" + path, AssetManager.ACCESS_STREAMING);
    }
}
