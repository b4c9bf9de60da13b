// Package wire reads and writes DNS messages as multicast DNS needs them:
// without allocating for each packet, with names kept in wire form, and with
// the compression rules of RFC 6762 §18.14.
//
// A [Name] in wire form has one spelling, whatever it contains: an instance
// name with dots, spaces or UTF-8 needs no escaping, and folding its case is
// one pass over its bytes. That is why names are looked up in this form.
package wire
