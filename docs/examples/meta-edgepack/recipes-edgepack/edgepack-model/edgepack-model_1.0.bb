SUMMARY = "A language model with its runtime, self-test and checksums"
LICENSE = "CLOSED"
# The licences of the model and its runtime are in the bundle's LICENSES; name them here as your policy asks.

EDGEPACK_PROFILE ?= "rpi5"
EDGEPACK_MODEL ?= "demo"
EDGEPACK_FLAGS ?= ""

# `edgepack` comes from the build machine; its store is shared by all builds.
HOSTTOOLS += "edgepack"
EDGEPACK_HOME ?= "${DL_DIR}/edgepack"
export EDGEPACK_HOME

# The bundle's own sums stand over the bytes that were tested: nothing may strip or split them.
INHIBIT_PACKAGE_STRIP = "1"
INHIBIT_PACKAGE_DEBUG_SPLIT = "1"
INHIBIT_SYSROOT_STRIP = "1"
INSANE_SKIP:${PN} += "already-stripped ldflags file-rdeps"

do_compile[network] = "1"
do_compile() {
    edgepack build --profile ${EDGEPACK_PROFILE} --model ${EDGEPACK_MODEL} ${EDGEPACK_FLAGS} \
        --no-bench --quiet --out ${B}/bundle
}

do_install() {
    install -d ${D}${libdir}/edgepack
    cp -Rp --no-preserve=ownership ${B}/bundle ${D}${libdir}/edgepack/model
}

FILES:${PN} = "${libdir}/edgepack"
