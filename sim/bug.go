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

	IntentNotDurable  // a send leaves while its intent is being written down
	NewIDPerSend      // every send of an operation has an id of its own
	CheckSkipped      // the gateway is not asked before something is sent again
	AbsentTooEarly    // what a lookup did not find did not happen, however late it looks
	TimeoutIsFailure  // no answer is taken for a decline
	ResendAfterWindow // the gateway is believed to remember an id for longer than it does
	NoticeBelieved    // what a webhook says is taken for an answer
	NoticePostsTwice  // every copy of a webhook that says so posts the money
	TakenOverTooEarly // who is not heard of is taken for gone when its lease is over
	LeaseUnchecked    // a sender does not look at its lease before it sends
	LateAnswerDropped // an answer that comes after the lease is not written down
	ClockTrusted      // nobody minds that the machine's clock was set
)

func (b Bug) String() string {
	return [...]string{
		"no bug", "answer before commit", "key and effect in two commits", "fingerprint ignored", "key without tenant",
		"sequence reused after a restart", "unknown taken for committed", "unknown taken for not committed",
		"tombstone dropped too early", "clock started anew", "sync ignored", "completion forgotten",
		"intent not durable", "new id for every send", "status check skipped", "not found too early taken for absent", "timeout taken for a failure",
		"sent again after the window", "webhook believed", "webhook posts twice", "taken over too early", "lease not checked before a send",
		"late answer dropped", "clock trusted",
	}[b]
}
