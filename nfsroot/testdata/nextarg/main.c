/*
 * Reads command lines with the kernel's own next_arg, from the lib/cmdline.c
 * that is compiled beside this file. Input: lines, each behind its length.
 * Output for each: the number of its parameters, and for each parameter its
 * name, whether it has a value, and the value; texts behind their lengths.
 * Numbers have 32 bits in the machine's order.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <linux/ctype.h>

char *next_arg(char *args, char **param, char **val);

char *skip_spaces(const char *s)
{
	while (isspace(*s))
		s++;
	return (char *)s;
}

/* What the rest of lib/cmdline.c wants; neither is called. */
long simple_strtol(const char *s, char **end, unsigned int base)
{
	abort();
}

unsigned long long simple_strtoull(const char *s, char **end, unsigned int base)
{
	abort();
}

static void number(uint32_t n)
{
	fwrite(&n, sizeof(n), 1, stdout);
}

static void text(const char *s)
{
	number(strlen(s));
	fwrite(s, 1, strlen(s), stdout);
}

static uint32_t count(const char *line)
{
	char *copy = strdup(line), *args = skip_spaces(copy), *param, *val;
	uint32_t n = 0;

	while (*args) {
		args = next_arg(args, &param, &val);
		n++;
	}
	free(copy);
	return n;
}

int main(void)
{
	uint32_t size;

	while (fread(&size, sizeof(size), 1, stdin) == 1) {
		char *line = calloc(size + 1, 1), *args, *param, *val;

		if (fread(line, 1, size, stdin) != size)
			return 1;
		number(count(line));
		for (args = skip_spaces(line); *args;) {
			args = next_arg(args, &param, &val);
			text(param);
			number(val != NULL);
			text(val ? val : "");
		}
		free(line);
	}
	return 0;
}
