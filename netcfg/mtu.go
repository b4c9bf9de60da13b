package netcfg

import "cmp"

// leaseMTU is the MTU that the server says, 0 for the link's own.
func (a *attachment) leaseMTU() int {
	// A server may know of a narrow way, but not of what our link could do.
	own := cmp.Or(a.originalMTU, a.now.MTU)
	if a.c.settings.IgnoreMTU || a.lease.MTU > own {
		return 0
	}
	return a.lease.MTU
}

// keepMTU remembers the MTU before the first change, and wants it back when
// nobody wants another any more.
func (a *attachment) keepMTU(d *Desired, observed *Snapshot) {
	link, _ := observed.LinkByIndex(a.now.Index)
	switch {
	case d.MTU != 0 && d.MTU != link.MTU && a.originalMTU == 0:
		a.originalMTU = link.MTU
	case d.MTU == 0 && a.originalMTU != 0:
		d.MTU = a.originalMTU
		if link.MTU == a.originalMTU {
			a.originalMTU = 0
		}
	}
}
