"""The backend in C: `kernel.c`, `build` (compiles and keeps it), `backend` (calls it)."""
