// Command logverify checks a published log, or a proof from one, with Go's golang.org/x/mod/sumdb/{note,tlog}.
//
//	logverify -key KEY [-since FILE] [-witness KEY]... [-require-witness N] [-proofs all|N] FOLDER
//	logverify -key KEY -proof FILE -entry FILE     an entry's c2sp.org/tlog-proof
//	logverify -key KEY -proof FILE -since FILE     growth since an earlier checkpoint
//
// It knows the public forms (c2sp.org/tlog-tiles, tlog-checkpoint, signed-note, tlog-proof, tlog-cosignature) and
// nothing of what the entries say. KEY is a verifier key line, or @FILE outside of FOLDER.
//
// Exit codes: 0 verified; 2 wrong usage; 3 tampered; 5 cannot judge. 3 outranks 5.
package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

const (
	verified    = 0
	usage       = 2
	tampered    = 3
	cannotJudge = 5

	maxListed = 50
	maxNote   = 256 * 1024
	maxProof  = 512 * 1024
	maxEntry  = 0xffff
)

// A verdict gathers what is wrong.
type verdict struct {
	lines []string
	code  int
	more  int
}

func (v *verdict) add(code int, format string, args ...any) {
	if v.code != tampered {
		v.code = code
	}
	if len(v.lines) == maxListed {
		v.more++
		return
	}
	v.lines = append(v.lines, fmt.Sprintf(format, args...))
}

func (v *verdict) tampered(format string, args ...any)    { v.add(tampered, format, args...) }
func (v *verdict) cannotJudge(format string, args ...any) { v.add(cannotJudge, format, args...) }

func (v *verdict) print() {
	for _, line := range v.lines {
		fmt.Println("found    ", line)
	}
	if v.more > 0 {
		fmt.Println("found     and", v.more, "more")
	}
	fmt.Println(map[int]string{verified: "VERIFIED", tampered: "TAMPERED", cannotJudge: "CANNOT JUDGE"}[v.code])
}

type keys []string

func (k *keys) String() string { return strings.Join(*k, " ") }

func (k *keys) Set(text string) error {
	*k = append(*k, text)
	return nil
}

type options struct {
	key, since, proof, entry, folder string
	witnesses                        keys
	quorum                           int
	proofs                           int64 // inclusion proofs to check, spread evenly; -1 for all
}

func main() {
	os.Exit(run())
}

func run() (code int) {
	opts, err := parse()
	if err != nil {
		fmt.Fprintln(os.Stderr, "logverify:", err)
		return usage
	}
	v := &verdict{}
	defer func() {
		if problem := recover(); problem != nil {
			v.cannotJudge("this program failed: %v", problem)
		}
		v.print()
		code = v.code
	}()
	trusted, err := readKey(opts.key, opts.folder)
	if err != nil {
		v.cannotJudge("key: %v", err)
		return
	}
	fmt.Printf("key       %s   %08x\n", trusted.Name(), trusted.KeyHash())
	var since []byte
	if opts.since != "" {
		if since, err = readUpTo(opts.since, maxNote); err != nil {
			v.cannotJudge("the remembered checkpoint cannot be read")
			return
		}
	}
	if opts.proof != "" {
		checkProofFile(v, trusted, opts, since)
	} else {
		checkFolder(v, trusted, opts, since)
	}
	return
}

func parse() (*options, error) {
	o, proofs := &options{}, ""
	flags := flag.NewFlagSet("logverify", flag.ContinueOnError)
	flags.StringVar(&o.key, "key", "", "verifier key line of the log, or @FILE")
	flags.StringVar(&o.since, "since", "", "a checkpoint kept from earlier")
	flags.StringVar(&o.proof, "proof", "", "a proof file to check instead of a folder")
	flags.StringVar(&o.entry, "entry", "", "the bytes of the entry that the proof is of")
	flags.Var(&o.witnesses, "witness", "verifier key of a trusted witness; may be repeated")
	flags.IntVar(&o.quorum, "require-witness", 0, "how many witnesses must have cosigned one checkpoint of the log")
	flags.StringVar(&proofs, "proofs", "1000", "how many inclusion proofs to make from the tiles and check, or `all`")
	if err := flags.Parse(os.Args[1:]); err != nil {
		return nil, errors.New("wrong usage")
	}
	o.folder, o.proofs = flags.Arg(0), -1
	if proofs != "all" {
		count, err := strconv.ParseUint(proofs, 10, 31)
		if err != nil {
			return nil, errors.New("-proofs is `all` or a number")
		}
		o.proofs = int64(count)
	}
	if o.key == "" || (flags.NArg() == 1) == (o.proof != "") || flags.NArg() > 1 {
		return nil, errors.New("give -key KEY, and one FOLDER or -proof FILE")
	}
	if o.proof != "" && (o.entry == "") == (o.since == "") {
		return nil, errors.New("a proof is checked against -entry FILE or -since FILE")
	}
	return o, nil
}

// readUpTo reads a file the caller named; a longer one is an error.
func readUpTo(path string, limit int64) ([]byte, error) {
	data, err := readFile(path, limit)
	if err == nil && int64(len(data)) > limit {
		return nil, errors.New("is too long")
	}
	return data, err
}

// keyLine gives the key line, or the one in @FILE if that lies outside of the folder it should judge.
func keyLine(text, folder string) (string, error) {
	if !strings.HasPrefix(text, "@") {
		return text, nil
	}
	place, err := filepath.EvalSymlinks(text[1:])
	if err != nil {
		return "", errors.New("its file cannot be read")
	}
	if place, err = filepath.Abs(place); err != nil {
		return "", err
	}
	if root, err := filepath.EvalSymlinks(folder); folder != "" && err == nil {
		root, err = filepath.Abs(root)
		if err != nil || strings.HasPrefix(place, root+string(filepath.Separator)) {
			return "", errors.New("it lies inside the folder that it should judge")
		}
	}
	data, err := readUpTo(place, 4096)
	if err != nil {
		return "", errors.New("its file cannot be read")
	}
	return string(bytes.TrimSpace(data)), nil
}
