"""One public function a file, mutually independent; the pipeline puts them in order."""
