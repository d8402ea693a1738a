package postgres

// The tables that commits write.
var (
	accountsTable = newTable("accounts", 1, `num bigint, tenant text, id text, currency text, min_balance bigint, closed bigint, metadata text, created_at bigint`)

	balancesTable = newTable("balances", 1, `account bigint, posted bigint, outgoing bigint, incoming bigint, entries bigint, last_entry bigint, version bigint`)

	transfersTable = newTable("transfers", 2, `tenant text, id text, status bigint, from_account text, to_account text, amount bigint, amount_posted bigint,
		currency text, reference text, reverses text, reversed_by text, expires_at bigint, metadata text, created_at bigint, version bigint, operation text`)

	entriesTable = newTable("entries", 1, `seq bigint, account bigint, transfer text, kind bigint, posted bigint, outgoing bigint, incoming bigint,
		posted_after bigint, outgoing_after bigint, incoming_after bigint, prev bigint, ordinal bigint, at bigint`)

	marksTable = newTable("entry_marks", 3, "account bigint, at bigint, seq bigint")

	keysTable = newTable("keys", 2, `tenant text, key text, fingerprint bytea, state bigint, operation text, resource text, attempt bigint, lease_until bigint,
		created_at bigint, expires_at bigint, replays bigint, version bigint, status bigint, header text, body bytea`)

	eventsTable = newTable("events", 1, "tenant text, id text, type text, subject text, at bigint, data text")

	paymentsTable = newTable("payments", 2, `tenant text, id text, status bigint, in_doubt bigint, amount bigint, amount_captured bigint, amount_refunded bigint,
		currency text, reference text, gateway text, payment_method text, manual bigint, canceled bigint, customer text, description text,
		statement_descriptor text, return_url text, gateway_options text, metadata text, created_at bigint, updated_at bigint, version bigint`)

	operationsTable = newTable("operations", 3, `tenant text, payment text, place bigint, id text, kind bigint, amount bigint, last bigint, outcome bigint,
		moved bigint, gateway_id text, action_url text, failure_code text, decline_code text, failure_message text, parked text, epoch bigint,
		attempt bigint, exposed bigint, owner text, first_sent_at bigint, sent_at bigint, lease_until bigint, stopped_at bigint, resend_until bigint,
		adrift bigint, lookup_lag bigint, in_flight bigint, checks bigint, blanks bigint, checked_at bigint, absent_at bigint, lag bigint, hinted bigint,
		due_at bigint, key text, followers text, asked bigint, request_id text, booked bigint, suspended bigint, transfer text,
		created_at bigint, updated_at bigint, gateway text`)

	referencesTable = newTable("payment_references", 2, "tenant text, reference text, payment text, version bigint")

	noticesTable = newTable("notices", 3, `tenant text, gateway text, id text, payment text, operation text, gateway_id text, type text, matched bigint,
		outcome bigint, amount bigint, currency text, failure_code text, decline_code text, failure_message text, at bigint, version bigint`)

	linesTable = newTable("payment_lines", 4, `tenant text, payment text, line bigint, at bigint, type text, operation text, key text, detail text, actor text`)
)
