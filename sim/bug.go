package sim

// Bug is a defect that is made at the edges of the loop, where it can be made
// without touching the code that runs in production. The zero Bug is none.
type Bug int

// The bugs that can be planted.
const (
	AnswerBeforeCommit  Bug = iota + 1 // answers leave when the commit is issued, not when it is durable
	TwoCommits                         // the effect is synced first, its key after it
	FingerprintIgnored                 // all requests look the same
	TenantIgnored                      // a key is looked up without its tenant
	SequenceReused                     // after a restart entries are numbered anew
	UnknownIsCommitted                 // a commit whose outcome is unknown is taken for done
	UnknownIsRefused                   // a commit whose outcome is unknown is taken for undone
	TombstoneForgotten                 // a key is dropped as soon as its window is over
	ClockForgotten                     // a restart starts at the machine's clock, not at the store's
	SyncIgnored                        // the disk says that it synced and did not
	CompletionForgotten                // now and then nobody is told that a load has ended
	lastBug
)

func (b Bug) String() string {
	return [...]string{
		"no bug", "answer before commit", "key and effect in two commits", "fingerprint ignored", "key without tenant",
		"sequence reused after a restart", "unknown taken for committed", "unknown taken for not committed",
		"tombstone dropped too early", "clock started anew", "sync ignored", "completion forgotten",
	}[b]
}
