include $(shell edgepack --print make-include)
