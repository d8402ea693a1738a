package oncepay_test

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/oncepay/oncepay/"

// layout says who may import whom. A package that is not named here may not
// exist; an arrow that is not drawn here may not be drawn in code. Rooms are in
// the order of their floors: imports go down only.
var layout = map[string][]string{
	// core: the standard library and each other
	"internal/card":     {},
	"internal/fair":     {},
	"internal/id":       {},
	"internal/jcs":      {},
	"internal/rows":     {},
	"internal/outbound": {},
	"money":             {},
	"outbox":            {"internal/jcs"},
	"access":            {},
	"webhook":           {},
	"once":              {"internal/id", "internal/jcs"},
	"consume":           {"once"},
	"ledger":            {"internal/id", "internal/jcs", "internal/rows", "money", "outbox"},
	"pay":               {"internal/id", "internal/jcs", "internal/rows", "ledger", "money", "once"},
	"engine":            {"internal/fair", "internal/id", "ledger", "once", "outbox", "pay"},
	"processor":         {"engine", "internal/fair", "ledger", "once", "pay"},
	"delivery":          {"internal/card", "internal/outbound", "outbox", "webhook"},
	"audit":             {"internal/jcs", "ledger", "money", "once", "outbox", "pay"},

	// edges
	"internal/paging":      {"engine"},
	"store/sqlite":         {"access", "audit", "delivery", "engine", "internal/id", "internal/paging", "ledger", "money", "once", "outbox", "pay"},
	"store/postgres":       {"access", "audit", "delivery", "engine", "internal/id", "internal/paging", "ledger", "money", "once", "outbox", "pay"},
	"store/sqlkeys":        {"once"},
	"internal/pgrows":      {"once"},
	"store/pgkeys":         {"internal/pgrows", "once"},
	"store/pgkeys/stdkeys": {"internal/pgrows", "once"},
	"store/pebble":         {"once"},
	"store/redis":          {"once"},
	"broker/nats":          {"outbox"},
	"broker/kafka":         {"outbox"},
	"broker/nats/embedded": {},
	"gateway":              {"pay"},
	"gateway/sandbox":      {"gateway", "internal/id", "internal/jcs", "money", "pay", "webhook"},
	"dedup":                {},
	"internal/telemetry":   {},
	"promonce":             {"internal/telemetry", "once"},
	"otelonce":             {"internal/telemetry", "once"},

	// faces, and what they have in common
	"internal/keyform": {"once"},
	"httponce":         {"internal/id", "internal/jcs", "internal/keyform", "once"},
	"grpconce":         {"internal/id", "internal/jcs", "internal/keyform", "once"},
	"web":              {"access", "delivery", "engine", "httponce", "internal/card", "internal/id", "internal/jcs", "internal/outbound", "ledger", "money", "once", "outbox", "pay", "webhook"},

	// faces for brokers, of a consumer's side
	"consume/natsjs":    {"consume", "once"},
	"consume/kafka":     {"consume", "once"},
	"consume/watermill": {"consume", "once"},

	// tests and tools
	"internal/pgtest": {},
	"contract":        {"audit", "consume", "delivery", "engine", "internal/id", "internal/jcs", "ledger", "money", "once", "outbox", "pay"},
	"sim":             {"audit", "engine", "internal/id", "internal/jcs", "ledger", "money", "once", "outbox", "pay"},
	"bench":           {},
	"demo":            {},

	"examples/points":  {"consume", "consume/kafka", "consume/natsjs", "once", "store/sqlkeys"},
	"examples/rpc":     {"grpconce", "once", "store/pebble"},
	"examples/booking": {"once", "store/pgkeys"},
	"examples/shop":    {"httponce", "once", "store/sqlkeys"},
	"examples/worker":  {"once", "store/sqlkeys"},

	"cmd/oncepay": {"access", "audit", "bench", "broker/kafka", "broker/nats", "broker/nats/embedded", "delivery", "demo", "engine", "gateway", "gateway/sandbox", "internal/card", "internal/id", "internal/jcs", "internal/outbound", "ledger", "money", "once", "outbox", "pay", "processor", "sim", "store/postgres", "store/sqlite", "web", "webhook"},
}

// core rooms compile the standard library and nothing else.
var core = []string{"access", "internal/card", "internal/fair", "internal/id", "internal/jcs", "internal/outbound", "internal/rows", "money", "outbox", "once", "consume", "ledger", "engine", "audit", "webhook", "delivery", "pay", "processor"}

// borrowed is third-party code by the rooms that it may be used in, where those are
// compiled by strangers: what they import, they import.
var borrowed = map[string][]string{
	"httponce": {},
	"grpconce": {
		"google.golang.org/genproto/googleapis/rpc/code",
		"google.golang.org/genproto/googleapis/rpc/errdetails",
		"google.golang.org/genproto/googleapis/rpc/status",
		"google.golang.org/grpc",
		"google.golang.org/grpc/codes",
		"google.golang.org/grpc/metadata",
		"google.golang.org/grpc/status",
		"google.golang.org/protobuf/encoding/protowire",
		"google.golang.org/protobuf/proto",
		"google.golang.org/protobuf/protoadapt",
		"google.golang.org/protobuf/reflect/protoreflect",
		"google.golang.org/protobuf/reflect/protoregistry",
		"google.golang.org/protobuf/types/descriptorpb",
		"google.golang.org/protobuf/types/known/durationpb",
	},
	"internal/keyform":     {"github.com/dunglas/httpsfv"},
	"internal/pgrows":      {},
	"store/pgkeys/stdkeys": {}, // the driver is the caller's
	"promonce":             {"github.com/prometheus/client_golang/prometheus"},
	"otelonce": {
		"go.opentelemetry.io/otel",
		"go.opentelemetry.io/otel/attribute",
		"go.opentelemetry.io/otel/metric",
		"go.opentelemetry.io/otel/trace",
	},
}

func TestImportsGoDown(t *testing.T) {
	for pkg, imports := range listImports(t) {
		allowed, known := layout[pkg]
		third, few := borrowed[pkg]
		if !known {
			t.Errorf("%s is no room of the layout", pkg)
			continue
		}
		for _, imp := range imports {
			room, ours := strings.CutPrefix(imp, module)
			switch {
			case ours && !slices.Contains(allowed, room):
				t.Errorf("%s imports %s: the layout has no such arrow", pkg, room)
			case !ours && slices.Contains(core, pkg) && strings.Contains(imp, "."):
				t.Errorf("%s imports %s: core rooms compile the standard library only", pkg, imp)
			case !ours && few && strings.Contains(imp, ".") && !slices.Contains(third, imp):
				t.Errorf("%s imports %s: its users would have to", pkg, imp)
			}
		}
	}
}

// listImports returns the imports of each package's own code; its tests may
// use what they need.
func listImports(t *testing.T) map[string][]string {
	t.Helper()
	out, err := exec.Command("go", "list", "-f", `{{.ImportPath}} {{join .Imports " "}}`, "./...").CombinedOutput()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, out)
	}
	imports := map[string][]string{}
	for line := range strings.Lines(string(out)) {
		fields := strings.Fields(line)
		if pkg, ok := strings.CutPrefix(fields[0], module); ok {
			imports[pkg] = fields[1:]
		}
	}
	return imports
}
