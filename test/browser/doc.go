// Package browser drives the pages of a real appliance with a real browser:
// the scripts in testdata say what people do and what they must see, the Go
// side builds and starts the daemon, and cuts the line between the two.
package browser
