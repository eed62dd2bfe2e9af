// Reads, and writes, a write-ahead log with etcd's own package, so that ours can be held to it.
//
//	wal-reader read DIR INDEX TERM    prints what etcd reads, starting from that snapshot
//	wal-reader append DIR INDEX TERM  opens for writing as a member does, and adds three entries
//	wal-reader create DIR             makes a log with a few entries, a snapshot and a segment cut
package main

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"strconv"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/server/v3/storage/wal"
	"go.etcd.io/etcd/server/v3/storage/wal/walpb"
	"go.etcd.io/raft/v3/raftpb"
	"go.uber.org/zap"
)

type entry struct {
	Term  uint64 `json:"term"`
	Index uint64 `json:"index"`
	Type  string `json:"type"`
	Data  string `json:"data"`
}

type contents struct {
	NodeID    string  `json:"nodeId"`
	ClusterID string  `json:"clusterId"`
	Term      uint64  `json:"term"`
	Vote      string  `json:"vote"`
	Commit    uint64  `json:"commit"`
	Entries   []entry `json:"entries"`
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func snapshotArgument() walpb.Snapshot {
	index, err := strconv.ParseUint(os.Args[3], 10, 64)
	check(err)
	term, err := strconv.ParseUint(os.Args[4], 10, 64)
	check(err)
	return walpb.Snapshot{Index: index, Term: term}
}

func print(metadata []byte, state raftpb.HardState, entries []raftpb.Entry) {
	var m etcdserverpb.Metadata
	check(m.Unmarshal(metadata))
	out := contents{
		NodeID: strconv.FormatUint(m.NodeID, 10), ClusterID: strconv.FormatUint(m.ClusterID, 10),
		Term: state.Term, Vote: strconv.FormatUint(state.Vote, 10), Commit: state.Commit, Entries: []entry{},
	}
	for _, e := range entries {
		out.Entries = append(out.Entries, entry{e.Term, e.Index, e.Type.String(), hex.EncodeToString(e.Data)})
	}
	check(json.NewEncoder(os.Stdout).Encode(out))
}

func main() {
	lg := zap.NewNop()
	dir := os.Args[2]
	switch os.Args[1] {
	case "read":
		w, err := wal.OpenForRead(lg, dir, snapshotArgument())
		check(err)
		metadata, state, entries, err := w.ReadAll()
		check(err)
		print(metadata, state, entries)
		// A log opened for reading has no directory handle, and Close complains of that.
		_ = w.Close()
	case "append":
		w, err := wal.Open(lg, dir, snapshotArgument())
		check(err)
		metadata, state, entries, err := w.ReadAll()
		check(err)
		print(metadata, state, entries)
		last := entries[len(entries)-1].Index
		for i := uint64(1); i <= 3; i++ {
			state.Commit = last + i
			check(w.Save(state, []raftpb.Entry{{Term: state.Term, Index: last + i, Data: []byte("from etcd")}}))
		}
		check(w.Close())
	case "create":
		wal.SegmentSizeBytes = 4096
		m := etcdserverpb.Metadata{NodeID: 0xfedcba9876543210, ClusterID: 7}
		metadata, err := m.Marshal()
		check(err)
		w, err := wal.Create(lg, dir, metadata)
		check(err)
		state := raftpb.HardState{Term: 3, Vote: 0xfedcba9876543210}
		for i := uint64(1); i <= 40; i++ {
			state.Commit = i
			check(w.Save(state, []raftpb.Entry{{Term: 3, Index: i, Data: make([]byte, 10*i)}}))
			if i == 20 {
				check(w.SaveSnapshot(walpb.Snapshot{Index: 20, Term: 3, ConfState: &raftpb.ConfState{Voters: []uint64{1, 2, 3}}}))
			}
		}
		check(w.Close())
	default:
		check(fmt.Errorf("unknown command %q", os.Args[1]))
	}
}
