/* As much of the kernel's header as lib/cmdline.c needs. */
#include <stdbool.h>
#include <stddef.h>
#define fallthrough __attribute__((__fallthrough__))
long simple_strtol(const char *, char **, unsigned int);
unsigned long long simple_strtoull(const char *, char **, unsigned int);
