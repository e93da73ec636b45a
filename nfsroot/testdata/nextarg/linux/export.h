/* As much of the kernel's header as lib/cmdline.c and lib/ctype.c need. */
#define EXPORT_SYMBOL(name) extern int export_##name
