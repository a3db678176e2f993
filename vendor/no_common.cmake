# Read before llama.cpp's own project: llama-cpp-python forces the common library on, and nothing here links it.
set(LLAMA_BUILD_COMMON OFF)
