// Package rootfs makes and keeps the root filesystems that network-booted
// Raspberry Pis mount from one file server: eight roots from one golden tree.
//
//	roots := []rootfs.Root{
//		{Dir: "/export/10.46.189.2/root", Identity: rootfs.Identity{Hostname: "pi1"}},
//		{Dir: "/export/10.46.189.6/root", Identity: rootfs.Identity{Hostname: "pi2"}},
//	}
//	if err := rootfs.Clone(ctx, "/srv/golden", roots, nil); err != nil {
//		return err
//	}
//	// Later, when the golden tree has new packages:
//	plans, err := rootfs.PlanSync(ctx, "/srv/golden", roots)
//	if err == nil {
//		err = rootfs.Apply(ctx, plans, nil)
//	}
//
// [Clone] makes roots, [PlanSync] and [Apply] bring them up to the golden tree
// while their Pis run, [PlanPush] and [Watch] give a file of one Pi to the
// others, and [Rebuild] and [Rollback] swap a whole root while its Pi is off.
//
// # Where a root lives
//
// A root is a directory inside a filesystem of its own, not the mount point
// itself, because a mount point cannot be renamed:
//
//	/export/10.46.189.2         the mount
//	/export/10.46.189.2/root    the root, exported with no_subtree_check
//	/export/10.46.189.2/.berryrack/root/    what this package keeps, mode 0700
//
// The filesystem is its own because an NFS file handle names an inode, and
// with no_subtree_check a Pi can make up the handle of any inode of the
// filesystem that its export is on, another Pi's private files among them.
// [Device] tells filesystems apart, for nfsroot.CheckFilesystems. The operator
// makes the mounts, one for each Pi:
//
//	LVM     lvcreate -V 8G -T vg/pool -n pi1 && mkfs.ext4 /dev/vg/pi1
//	ZFS     zfs create -o mountpoint=/export/10.46.189.2 -o xattr=sa -o acltype=posix tank/pi1
//	btrfs   a filesystem for each Pi: handles reach across its subvolumes
//	loop    truncate -s 8G pi1.img && mkfs.ext4 pi1.img && mount -o loop pi1.img /export/10.46.189.2
//
// Reflinks need the golden tree on the root's own filesystem (XFS, btrfs), so
// between separate filesystems data is copied, but read only once for all.
//
// # A Pi that runs
//
// An NFS server is stateless: it finds an open file by its inode (RFC 1813,
// section 2.3.3), so that a file whose last name is gone is NFS3ERR_STALE to the
// Pi that holds it open. Apply puts each new file in its place by exchanging
// the two names, and so the old inode keeps a name, in a trash directory on the
// same filesystem, until [EmptyTrash] is told that the Pi has booted since.
// Swapping a whole root is NFS3ERR_STALE on everything: Rebuild and Rollback
// refuse to while the Pi is up.
//
// # What a crash leaves
//
// New content is written aside and synced first; until then the root is as it
// was, also when the disk fills up. Then a journal is written, and the names
// are changed: by one rename for Rebuild and Rollback, file by file for Apply,
// since a running Pi cannot change trees. The next call of any function here,
// or of [Recover], finishes what the journal says, but for two things: what the
// Pi has written since stays, and a swap that has not happened is given up. A
// lock for each root keeps two runs apart, and the kernel drops it with the
// process.
//
// # Needs
//
// Linux 5.8 (openat2, statx), root (for owners, devices and file capabilities),
// and a filesystem with RENAME_EXCHANGE: ext4, XFS, btrfs, tmpfs, ZFS from 2.2. On
// other systems everything fails with [ErrUnsupported].
//
// Everything below a root is opened without following any symbolic link, since
// its Pi may have put one anywhere. The directory above a root is trusted.
// What this package keeps beside a root is not: it is on the Pi's filesystem, so
// that a Pi can make up a handle to it and write there. A journal can name
// nothing outside that root and what is kept for it.
//
// # What it will not do
//
// It makes no filesystems or mounts, and exports nothing. It does not descend
// into what is mounted below a tree, bind mounts among it, and moves or removes
// no directory above one. Like rsync it takes a file for
// unchanged when size and modification time are equal. It does not follow which
// Pi runs what: programs are restarted by other means.
//
// The API may change until version 1.
package rootfs
