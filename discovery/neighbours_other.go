//go:build !linux

package discovery

import "errors"

// PortInUse is not known here.
func PortInUse() (bool, error) { return false, errors.ErrUnsupported }
