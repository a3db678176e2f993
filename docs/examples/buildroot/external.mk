include $(sort $(wildcard $(BR2_EXTERNAL_EDGEPACK_PATH)/package/*/*.mk))
