################################################################################
#
# edgepack-model
#
################################################################################

EDGEPACK_MODEL_VERSION = 1.0
EDGEPACK_MODEL_SITE = $(EDGEPACK_MODEL_PKGDIR)
EDGEPACK_MODEL_SITE_METHOD = local
EDGEPACK_MODEL_LICENSE = see LICENSES in the bundle

# Buildroot's environment is for the target's compiler; edgepack brings its own and wants the user's.
EDGEPACK_MODEL_MAKE = env -u CC -u CXX -u CFLAGS -u CXXFLAGS -u LDFLAGS $(MAKE) -C $(@D) -f edgepack-model.make \
	EDGEPACK_PROFILE=$(BR2_PACKAGE_EDGEPACK_MODEL_PROFILE) \
	EDGEPACK_MODEL=$(BR2_PACKAGE_EDGEPACK_MODEL_MODEL) \
	EDGEPACK_QUANT=$(BR2_PACKAGE_EDGEPACK_MODEL_QUANT) \
	EDGEPACK_FLAGS=$(BR2_PACKAGE_EDGEPACK_MODEL_FLAGS)

define EDGEPACK_MODEL_BUILD_CMDS
	$(EDGEPACK_MODEL_MAKE) edgepack-bundle
endef

define EDGEPACK_MODEL_INSTALL_TARGET_CMDS
	$(EDGEPACK_MODEL_MAKE) edgepack-install DESTDIR=$(TARGET_DIR)
endef

$(eval $(generic-package))
