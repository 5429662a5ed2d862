"""What reads strangers' files: for each, whole files, the ways to damage them, and how to read."""

import data_files
import evaluation_files
import model_files

TARGETS = model_files.TARGETS | data_files.TARGETS | evaluation_files.TARGETS
