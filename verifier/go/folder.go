package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const (
	height    = 8 // of tiles
	width     = 1 << height
	maxBundle = width * (2 + maxEntry)
	levels    = 8
)

// A log is a folder being checked.
type log struct {
	v       *verdict
	root    string
	files   map[string]bool // plain files by path, with slashes
	head    *checkpoint
	history map[string]*checkpoint
	stored  []tlog.Hash // hashes made from the entries, in the order of tlog.StoredHashIndex
}

func readFile(path string, limit int64) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return io.ReadAll(io.LimitReader(file, limit+1))
}

func checkFolder(v *verdict, key note.Verifier, opts *options, since []byte) {
	l := &log{v: v, files: map[string]bool{}, history: map[string]*checkpoint{}}
	if err := l.list(opts.folder); err != nil {
		v.cannotJudge("the folder cannot be read")
		return
	}
	var kept *checkpoint
	if since != nil {
		var err error
		if kept, err = openCheckpoint(since, key); err != nil {
			v.cannotJudge("the remembered checkpoint: %v", err)
		}
	}
	data := l.read("checkpoint", maxNote)
	if data == nil {
		v.cannotJudge("there is no checkpoint")
		return
	}
	head, err := openCheckpoint(data, key)
	if err != nil {
		v.tampered("checkpoint: %v", err)
		return
	}
	l.head = head
	fmt.Printf("head      %d entries   %v\n", head.tree.N, head.tree.Hash)
	l.readHistory(key)
	whole := l.hashEntries()
	if whole {
		l.checkRoot()
		l.checkTiles()
	}
	l.checkHistory(kept, whole)
	l.checkSurplus(whole)
	if whole {
		l.checkInclusion(opts.proofs)
	}
	l.checkWitnesses(opts)
}

// list names every plain file; links and devices are no part of a log, and are not followed.
func (l *log) list(folder string) error {
	root, err := filepath.EvalSymlinks(folder)
	if err != nil {
		return err
	}
	l.root = root
	return filepath.WalkDir(root, func(path string, item fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := filepath.ToSlash(strings.TrimPrefix(path, root+string(filepath.Separator)))
		switch {
		case item.Type().IsRegular():
			l.files[name] = true
		case path == root && !item.IsDir():
			return os.ErrInvalid
		case !item.IsDir():
			l.v.tampered("%q: a link or device that does not belong to the log", name)
		}
		return nil
	})
}

// read gives at most limit + 1 bytes of a plain file of the folder; nil where there is none.
func (l *log) read(path string, limit int64) []byte {
	if !l.files[path] {
		return nil
	}
	data, err := readFile(filepath.Join(l.root, filepath.FromSlash(path)), limit)
	if err != nil {
		l.v.cannotJudge("%s: cannot be read", path)
		return nil
	}
	if data == nil {
		data = []byte{}
	}
	return data
}

// tilePath is the path of c2sp.org/tlog-tiles: x/mod writes the height into it, and calls entries `data`.
func tilePath(t tlog.Tile) string {
	path := "tile/" + strings.TrimPrefix(t.Path(), fmt.Sprintf("tile/%d/", t.H))
	return strings.Replace(path, "tile/data/", "tile/entries/", 1)
}

// tiles are those of a tree of this size on one level, -1 for the bundles; with `edge`, the partial one alone.
func tiles(size int64, level int, edge bool) []tlog.Tile {
	count := size
	if level > 0 {
		count >>= uint(height * level)
	}
	found := []tlog.Tile{}
	for n := int64(0); n < count/width && !edge; n++ {
		found = append(found, tlog.Tile{H: height, L: level, N: n, W: width})
	}
	if count%width != 0 {
		found = append(found, tlog.Tile{H: height, L: level, N: count / width, W: int(count % width)})
	}
	return found
}

// splitBundle gives the entries of a bundle, and whether it holds exactly so many.
func splitBundle(data []byte, count int) ([][]byte, bool) {
	entries := make([][]byte, 0, count)
	for len(entries) < count {
		if len(data) < 2 {
			return entries, false
		}
		end := 2 + int(binary.BigEndian.Uint16(data))
		if len(data) < end {
			return entries, false
		}
		entries = append(entries, data[2:end])
		data = data[end:]
	}
	return entries, len(data) == 0
}

// reader reads the hashes made from the entries.
func (l *log) reader() tlog.HashReader {
	return tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		hashes := make([]tlog.Hash, len(indexes))
		for i, index := range indexes {
			hashes[i] = l.stored[index]
		}
		return hashes, nil
	})
}

// hashEntries makes every hash of the tree from the bundles alone; false if some entry is not there.
func (l *log) hashEntries() bool {
	reader, size := l.reader(), l.head.tree.N
	for n := int64(0); n*width < size; n++ {
		t := tlog.Tile{H: height, L: -1, N: n, W: width}
		if size-n*width < width {
			t.W = int(size - n*width)
		}
		data := l.read(tilePath(t), maxBundle)
		entries, good := splitBundle(data, t.W)
		if data == nil || !good {
			l.v.tampered("%s: does not hold %d entries; the first that is wrong or missing is %d",
				tilePath(t), t.W, n*width+int64(len(entries)))
			return false
		}
		for i, entry := range entries {
			hashes, err := tlog.StoredHashes(n*width+int64(i), entry, reader)
			if err != nil {
				panic(err)
			}
			l.stored = append(l.stored, hashes...)
		}
	}
	fmt.Printf("entries   %d read and hashed\n", size)
	return true
}

func (l *log) treeHash(size int64) tlog.Hash {
	if size == 0 {
		return emptyRoot // x/mod has none for it
	}
	hash, err := tlog.TreeHash(size, l.reader())
	if err != nil {
		panic(err)
	}
	return hash
}

func (l *log) checkRoot() {
	if l.treeHash(l.head.tree.N) != l.head.tree.Hash {
		l.v.tampered("checkpoint: the entries do not give the signed root")
	}
}

// checkTiles compares every hash tile with what the entries give.
func (l *log) checkTiles() {
	count := 0
	for level := 0; level < levels; level++ {
		for _, t := range tiles(l.head.tree.N, level, false) {
			count++
			l.checkTile(t)
		}
	}
	fmt.Printf("tiles     %d compared\n", count)
}

func (l *log) checkTile(t tlog.Tile) {
	data := l.read(tilePath(t), width*tlog.HashSize)
	if data == nil {
		l.v.tampered("%s: is missing", tilePath(t))
		return
	}
	wanted, err := tlog.ReadTileData(t, l.reader())
	if err != nil {
		panic(err)
	}
	if !bytes.Equal(data, wanted) {
		at := 0
		for at < len(data) && at < len(wanted) && data[at] == wanted[at] {
			at++
		}
		first := (t.N*width + int64(at/tlog.HashSize)) << uint(height*t.L)
		l.v.tampered("%s: is not what the entries give, from entry %d on", tilePath(t), first)
	}
}

// readHistory opens every earlier checkpoint of the folder.
func (l *log) readHistory(key note.Verifier) {
	for path := range l.files {
		name := strings.TrimPrefix(path, "checkpoints/")
		if name == path {
			continue
		}
		size, err := parseNumber(name)
		if err != nil {
			l.v.tampered("%q: not the name of a checkpoint", path)
			continue
		}
		found, err := openCheckpoint(l.read(path, maxNote), key)
		if err != nil {
			l.v.tampered("%s: %v", path, err)
		} else if found.tree.N != size {
			l.v.tampered("%s: its name is not its size", path)
		} else {
			l.history[path] = found
		}
	}
}

// checkHistory shows that the head extends each earlier checkpoint, by a consistency proof made from the entries.
func (l *log) checkHistory(kept *checkpoint, whole bool) {
	all := map[string]*checkpoint{}
	for path, old := range l.history {
		all[path] = old
	}
	if kept != nil {
		all["the remembered checkpoint"] = kept
	}
	shown := 0
	for path, old := range all {
		if old.tree.N > l.head.tree.N {
			l.v.tampered("checkpoint: set back to %d entries; %s has %d", l.head.tree.N, path, old.tree.N)
			continue
		}
		if !whole {
			continue
		}
		proof := tlog.TreeProof{}
		if old.tree.N > 0 {
			var err error
			if proof, err = tlog.ProveTree(l.head.tree.N, old.tree.N, l.reader()); err != nil {
				panic(err)
			}
		}
		if err := checkGrowth(proof, l.head.tree, old.tree); err != nil {
			l.v.tampered("%s: the head does not extend the %d entries of it", path, old.tree.N)
			continue
		}
		shown++
	}
	fmt.Printf("history   %d earlier checkpoints extended\n", shown)
}

// checkSurplus says what lies in the folder that no checkpoint calls for. The text of README.md is not checked: what
// vouches for it stands inside an entry.
func (l *log) checkSurplus(whole bool) {
	wanted, edges := map[string]bool{"checkpoint": true, "README.md": true}, map[string]tlog.Tile{}
	for level := -1; level < levels && whole; level++ {
		for _, t := range tiles(l.head.tree.N, level, false) {
			wanted[tilePath(t)] = true
		}
	}
	for path, old := range l.history {
		wanted[path] = true
		for level := -1; level < levels && old.tree.N <= l.head.tree.N; level++ {
			for _, t := range tiles(old.tree.N, level, true) {
				edges[tilePath(t)] = t
			}
		}
	}
	for path := range l.files {
		edge, isEdge := edges[path]
		switch {
		case wanted[path] || strings.HasPrefix(path, "checkpoints/"):
		case !whole: // the tree is broken: which tiles it calls for has been said
		case isEdge && edge.L >= 0:
			l.checkTile(edge)
		case isEdge:
			l.checkEarlierBundle(edge)
		case l.isKey(path):
			l.v.cannotJudge("%q: a key inside the folder proves nothing; take it away", path)
		default:
			l.v.tampered("%q: does not belong to the log", path)
		}
	}
}

func (l *log) checkEarlierBundle(t tlog.Tile) {
	entries, good := splitBundle(l.read(tilePath(t), maxBundle), t.W)
	for i, entry := range entries {
		index := t.N*width + int64(i)
		good = good && tlog.RecordHash(entry) == l.stored[tlog.StoredHashIndex(0, index)]
	}
	if !good {
		l.v.tampered("%s: is not the beginning of today's bundle", tilePath(t))
	}
}

func (l *log) isKey(path string) bool {
	line := string(bytes.TrimSpace(l.read(path, 2048)))
	if _, err := newVerifier(line); err == nil {
		return true
	}
	_, err := newWitness(line)
	return err == nil
}

// checkInclusion makes inclusion proofs from the hash tiles on disk, which tlog.TileHashReader holds against the
// signed root, and checks them with the entries' own hashes: a second way to the same answer.
func (l *log) checkInclusion(count int64) {
	size := l.head.tree.N
	if count < 0 || count > size {
		count = size
	}
	reader := tlog.TileHashReader(l.head.tree, &tileFiles{log: l, cache: map[tlog.Tile][]byte{}})
	for i := int64(0); i < count; i++ {
		index := i * size / count
		if i == count-1 {
			index = size - 1
		}
		proof, err := tlog.ProveRecord(size, index, reader)
		if err == nil {
			err = tlog.CheckRecord(proof, size, l.head.tree.Hash, index, l.stored[tlog.StoredHashIndex(0, index)])
		}
		if err != nil {
			l.v.tampered("entry %d: the tiles do not prove it: %v", index, err)
			return
		}
	}
	fmt.Printf("proofs    %d of %d entries proven from the tiles\n", count, size)
}

// tileFiles is a tlog.TileReader over the folder.
type tileFiles struct {
	log   *log
	cache map[tlog.Tile][]byte
}

func (f *tileFiles) Height() int { return height }

func (f *tileFiles) ReadTiles(wanted []tlog.Tile) ([][]byte, error) {
	data := make([][]byte, len(wanted))
	for i, t := range wanted {
		if data[i] = f.cache[t]; data[i] == nil {
			data[i] = f.log.read(tilePath(t), width*tlog.HashSize)
		}
	}
	return data, nil
}

func (f *tileFiles) SaveTiles(saved []tlog.Tile, data [][]byte) {
	for i, t := range saved {
		f.cache[t] = data[i]
	}
}

// checkWitnesses counts the distinct trusted witnesses of the best cosigned checkpoint that the entries give.
func (l *log) checkWitnesses(opts *options) {
	if len(opts.witnesses) == 0 && opts.quorum == 0 {
		return
	}
	trusted := map[string]*witness{}
	for _, text := range opts.witnesses {
		line, err := keyLine(text, opts.folder)
		if err == nil {
			var known *witness
			if known, err = newWitness(line); err == nil {
				trusted[string(known.key)] = known // one witness counts once, whatever its names
			}
		}
		if err != nil {
			l.v.cannotJudge("witness key: %v", err)
			return
		}
	}
	heads := map[string]*checkpoint{"checkpoint": l.head}
	for path, old := range l.history {
		heads[path] = old
	}
	best := 0
	for path, head := range heads {
		count := 0
		for _, each := range trusted {
			good, err := each.cosigned(head)
			if err != nil {
				l.v.tampered("%s: %s: %v", path, each.name, err)
			}
			if good {
				count++
			}
		}
		if count > best {
			best = count
		}
	}
	fmt.Printf("witnesses %d of %d have cosigned one checkpoint\n", best, len(trusted))
	if best < opts.quorum {
		l.v.cannotJudge("%d witnesses are required, %d cosigned", opts.quorum, best)
	}
}
