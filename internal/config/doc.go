// Package config turns the layers of the appliance's configuration into one
// validated Config, and says where each value came from.
//
// The layers, later ones winning:
//
//	defaults < appliance.toml < appliance.d/*.toml < STATE/settings.toml < APPLIANCE_* < flags
//
// It is strict: a key that does not exist, a value of the wrong type and a
// value out of range are each an *Error with file, line, column and the line
// itself. The reference file is generated from the Config type, so that it
// cannot lie.
package config
