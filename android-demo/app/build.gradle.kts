plugins {
    id("com.android.application")
}

// edgepack's own build reads the values below too: one line each, `name = value`.
android {
    namespace = "dev.edgepack.demo"
    compileSdk = 35

    defaultConfig {
        applicationId = "dev.edgepack.demo"
        minSdk = 26
        targetSdk = 35
        versionCode = 1
        versionName = "0.1"
        ndk {
            abiFilters += "arm64-v8a"
        }
    }

    compileOptions {
        sourceCompatibility = JavaVersion.VERSION_1_8
        targetCompatibility = JavaVersion.VERSION_1_8
    }

    // The bundle and its runtime, out of an APK that `edgepack build --format apk` made: see README.md.
    sourceSets["main"].assets.srcDirs("../payload/assets")
    sourceSets["main"].jniLibs.srcDirs("../payload/lib")

    androidResources {
        noCompress += "gguf"
    }

    packaging {
        jniLibs {
            // The server is a program: it must lie on disk, where Android lets it be executed.
            useLegacyPackaging = true
            keepDebugSymbols += "**/libedgepack_server.so"
        }
    }
}

dependencies {
    testImplementation("junit:junit:4.13.2")
}
