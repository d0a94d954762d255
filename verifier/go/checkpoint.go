package main

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const (
	maxSignatures = 64
	maxSize       = 1 << 62 // tlog loops for ever above it
	cosignatureV1 = 4
	sigPrefix     = "\u2014 "
)

var emptyRoot = tlog.Hash(sha256.Sum256(nil))

// A checkpoint is a tree head, and the note it came in.
type checkpoint struct {
	tree tlog.Tree
	text string
	sigs []signature
}

type signature struct {
	name string
	hash uint32
	blob []byte
}

// canonical decodes base64. Go's decoder accepts several spellings of the last digit; only one of them was signed.
func canonical(text string) ([]byte, error) {
	data, err := base64.StdEncoding.DecodeString(text)
	if err != nil || base64.StdEncoding.EncodeToString(data) != text {
		return nil, errors.New("not canonical base64")
	}
	return data, nil
}

func readKey(text, folder string) (note.Verifier, error) {
	line, err := keyLine(text, folder)
	if err != nil {
		return nil, err
	}
	return newVerifier(line)
}

func newVerifier(line string) (note.Verifier, error) {
	parts := strings.SplitN(line, "+", 3)
	if _, err := canonical(parts[len(parts)-1]); err != nil {
		return nil, err
	}
	key, err := note.NewVerifier(line)
	if err == nil && strings.ToLower(parts[1]) != parts[1] {
		err = errors.New("malformed verifier id")
	}
	return key, err
}

// openCheckpoint reads a checkpoint that the key must have signed.
func openCheckpoint(data []byte, key note.Verifier) (*checkpoint, error) {
	if len(data) > maxNote {
		return nil, errors.New("the note is too long")
	}
	opened, err := note.Open(data, note.VerifierList(key))
	if err != nil {
		return nil, err
	}
	found := &checkpoint{text: opened.Text}
	// note.Open drops repeated lines and lenient spellings of base64; here each line must hold.
	for _, line := range strings.SplitAfter(string(data[len(opened.Text)+1:]), "\n") {
		if line == "" {
			continue
		}
		name, text, _ := strings.Cut(strings.TrimSuffix(strings.TrimPrefix(line, sigPrefix), "\n"), " ")
		blob, err := canonical(text)
		if err != nil {
			return nil, err
		}
		sig := signature{name, binary.BigEndian.Uint32(blob), blob[4:]}
		if sig.name == key.Name() && sig.hash == key.KeyHash() && !key.Verify([]byte(opened.Text), sig.blob) {
			return nil, errors.New("a second signature of the key does not verify")
		}
		found.sigs = append(found.sigs, sig)
	}
	if len(found.sigs) > maxSignatures {
		return nil, errors.New("the note has too many signatures")
	}
	found.tree, err = parseTree(opened.Text, key.Name())
	return found, err
}

// parseTree reads the three lines; tlog.ParseTree accepts those of Go's own log only.
func parseTree(text, origin string) (tlog.Tree, error) {
	lines := strings.Split(text, "\n")
	if len(lines) != 4 || lines[3] != "" {
		return tlog.Tree{}, errors.New("a checkpoint has three lines: origin, size, root")
	}
	size, err := parseNumber(lines[1])
	if err == nil && size > maxSize {
		err = errors.New("x/mod cannot compute with a tree of this size")
	}
	if err != nil {
		return tlog.Tree{}, err
	}
	root, err := canonical(lines[2])
	if err != nil || len(root) != tlog.HashSize {
		return tlog.Tree{}, errors.New("not a root hash in canonical base64")
	}
	if lines[0] != origin {
		return tlog.Tree{}, errors.New("it is of another log than the given key")
	}
	tree := tlog.Tree{N: size}
	copy(tree.Hash[:], root)
	return tree, nil
}

func parseNumber(text string) (int64, error) {
	number, err := strconv.ParseInt(text, 10, 64)
	if err != nil || number < 0 || strconv.FormatInt(number, 10) != text {
		return 0, errors.New("not a decimal number without leading zeros")
	}
	return number, nil
}

// A witness key is of type cosignature/v1, which x/mod does not know.
type witness struct {
	name string
	hash uint32
	key  ed25519.PublicKey
}

func newWitness(line string) (*witness, error) {
	parts := strings.SplitN(strings.TrimSuffix(line, "\n"), "+", 3)
	if len(parts) != 3 {
		return nil, errors.New("not a verifier key")
	}
	blob, err := canonical(parts[2])
	if err != nil || len(blob) != 1+ed25519.PublicKeySize || blob[0] != cosignatureV1 {
		return nil, errors.New("not a key of type cosignature/v1")
	}
	sum := sha256.Sum256(append([]byte(parts[0]+"\n"), blob...))
	hash := binary.BigEndian.Uint32(sum[:])
	if fmt.Sprintf("%08x", hash) != parts[1] {
		return nil, errors.New("its id does not fit its key")
	}
	return &witness{parts[0], hash, blob[1:]}, nil
}

// cosigned tells whether the witness has cosigned; an error is a line that names it and does not verify.
func (w *witness) cosigned(head *checkpoint) (bool, error) {
	found := false
	for _, sig := range head.sigs {
		if sig.name != w.name || sig.hash != w.hash {
			continue
		}
		if len(sig.blob) != 8+ed25519.SignatureSize {
			return false, errors.New("a cosignature has another length")
		}
		message := fmt.Sprintf("cosignature/v1\ntime %d\n%s", binary.BigEndian.Uint64(sig.blob), head.text)
		if !ed25519.Verify(w.key, []byte(message), sig.blob[8:]) {
			return false, errors.New("a cosignature does not verify")
		}
		found = true
	}
	return found, nil
}

// checkGrowth shows with a tree proof that the head extends an earlier tree.
func checkGrowth(proof tlog.TreeProof, head, old tlog.Tree) error {
	switch {
	case old.N == 0:
		if len(proof) != 0 || old.Hash != emptyRoot || (head.N == 0 && head.Hash != emptyRoot) {
			return errors.New("the root of no entries is another")
		}
		return nil
	case old.N > head.N:
		return errors.New("the log was set back")
	}
	return tlog.CheckTree(proof, head.N, head.Hash, old.N, old.Hash)
}

// checkProofFile checks one proof, written by whoever holds the log, against what the caller holds.
func checkProofFile(v *verdict, key note.Verifier, opts *options, since []byte) {
	data, err := readUpTo(opts.proof, maxProof)
	if err != nil {
		v.cannotJudge("the proof cannot be read")
		return
	}
	split := bytes.Index(data, []byte("\n\n"))
	if split < 0 {
		v.tampered("proof: not in its form")
		return
	}
	head, err := openCheckpoint(data[split+2:], key)
	if err != nil {
		v.tampered("proof: its checkpoint: %v", err)
		return
	}
	rows := strings.Split(string(data[:split]), "\n")
	if since != nil {
		old, err := openCheckpoint(since, key)
		if err != nil {
			v.cannotJudge("the remembered checkpoint: %v", err)
			return
		}
		size, hashes, err := proofRows(rows, "old ")
		if err == nil && size != old.tree.N {
			err = errors.New("it is of another checkpoint")
		}
		if err == nil {
			err = checkGrowth(hashes, head.tree, old.tree)
		}
		if err != nil {
			v.tampered("proof: %v", err)
			return
		}
		fmt.Printf("proven    the log of %d entries begins with the %d of the earlier checkpoint\n", head.tree.N, size)
		return
	}
	entry, err := readUpTo(opts.entry, maxEntry)
	if err != nil {
		v.cannotJudge("the entry cannot be read")
		return
	}
	if rows[0] != "c2sp.org/tlog-proof@v1" {
		v.cannotJudge("proof: of a form that this program does not know")
		return
	}
	rows = rows[1:]
	if len(rows) > 0 && strings.HasPrefix(rows[0], "extra ") {
		rows = rows[1:]
	}
	index, hashes, err := proofRows(rows, "index ")
	if err == nil {
		err = tlog.CheckRecord(hashes, head.tree.N, head.tree.Hash, index, tlog.RecordHash(entry))
	}
	if err != nil {
		v.tampered("proof: %v", err)
		return
	}
	fmt.Printf("proven    entry %d stands in the log of %d entries\n", index, head.tree.N)
}

// proofRows reads a number behind its word, then hashes, one a line.
func proofRows(rows []string, word string) (int64, []tlog.Hash, error) {
	if len(rows) == 0 || !strings.HasPrefix(rows[0], word) {
		return 0, nil, errors.New("not in its form")
	}
	number, err := parseNumber(strings.TrimPrefix(rows[0], word))
	if err != nil {
		return 0, nil, err
	}
	hashes := []tlog.Hash{}
	for _, row := range rows[1:] {
		data, err := canonical(row)
		if err != nil || len(data) != tlog.HashSize {
			return 0, nil, errors.New("holds something that is not a hash in canonical base64")
		}
		hashes = append(hashes, *(*tlog.Hash)(data))
	}
	return number, hashes, nil
}
