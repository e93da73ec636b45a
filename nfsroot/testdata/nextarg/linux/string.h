/* As much of the kernel's header as lib/cmdline.c needs. */
#include <string.h>
char *skip_spaces(const char *);
