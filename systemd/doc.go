// Package systemd is what a daemon tells systemd and gets from it: readiness
// and status (sd_notify), the watchdog, sockets that systemd opened, and the
// journal with its fields.
//
// Each part does nothing, cheaply, where systemd is absent.
package systemd
