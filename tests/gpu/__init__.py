"""What an owner of a GPU runs: `bash tests/gpu/run.sh`."""
