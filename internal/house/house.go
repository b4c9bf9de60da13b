// Package house holds the rules that keep the layout of ARCHITECTURE.md true.
// It has no code of its own: the rules are its tests.
package house
