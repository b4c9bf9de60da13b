// Package update replaces the program on a card by a newer one, and takes the
// older one back when the newer does not serve.
//
// A bundle is one file: a tar with a manifest, the manifest's signature
// (minisign, https://jedisct1.github.io/minisign/), and a binary for each kind
// of processor, whose digests the signed manifest holds. Nothing of a bundle
// is trusted before its signature was verified.
//
// The data partition has two slots, each with a program. The one in force is
// mounted over the program of the image, which itself never changes: where the
// slot is damaged, the image's own program runs. A new program is on trial until
// it was healthy; a trial that a power cut ends has failed.
package update
