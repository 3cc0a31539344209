/* The least a libfuse3 passthrough can be: read-only, high level, multi-threaded.
 *
 * It is the yardstick of bench/mount.py. Built and started there:
 *     cc -O2 trivial_fuse.c $(pkg-config fuse3 --cflags --libs) -o trivial_fuse
 *     TRIVIAL_ROOT=DIR ./trivial_fuse -f -o ro POINT
 */
#define FUSE_USE_VERSION 31
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fuse.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const char *root;

static void full(char *target, const char *path) { snprintf(target, PATH_MAX, "%s%s", root, path); }

static void *start(struct fuse_conn_info *connection, struct fuse_config *config)
{
	(void)connection;
	config->kernel_cache = 1;
	config->entry_timeout = config->attr_timeout = 86400;
	return NULL;
}

static int get_attributes(const char *path, struct stat *status, struct fuse_file_info *file)
{
	char name[PATH_MAX];
	(void)file;
	full(name, path);
	return lstat(name, status) ? -errno : 0;
}

static int list(const char *path, void *buffer, fuse_fill_dir_t fill, off_t offset,
		struct fuse_file_info *file, enum fuse_readdir_flags flags)
{
	char name[PATH_MAX];
	(void)offset, (void)file, (void)flags;
	full(name, path);
	DIR *folder = opendir(name);
	if (!folder)
		return -errno;
	for (struct dirent *entry; (entry = readdir(folder));)
		if (fill(buffer, entry->d_name, NULL, 0, 0))
			break;
	closedir(folder);
	return 0;
}

static int open_file(const char *path, struct fuse_file_info *file)
{
	char name[PATH_MAX];
	full(name, path);
	int descriptor = open(name, O_RDONLY);
	file->fh = descriptor;
	return descriptor < 0 ? -errno : 0;
}

static int read_file(const char *path, char *buffer, size_t size, off_t offset,
		     struct fuse_file_info *file)
{
	(void)path;
	ssize_t count = pread(file->fh, buffer, size, offset);
	return count < 0 ? -errno : (int)count;
}

static int release_file(const char *path, struct fuse_file_info *file)
{
	(void)path;
	close(file->fh);
	return 0;
}

static const struct fuse_operations operations = {
	.init = start,
	.getattr = get_attributes,
	.readdir = list,
	.open = open_file,
	.read = read_file,
	.release = release_file,
};

int main(int count, char **arguments)
{
	root = getenv("TRIVIAL_ROOT");
	if (!root)
		return fprintf(stderr, "TRIVIAL_ROOT is not set\n"), 2;
	return fuse_main(count, arguments, &operations, NULL);
}
