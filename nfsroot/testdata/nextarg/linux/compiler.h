/* As much of the kernel's header as lib/ctype.c needs. */
