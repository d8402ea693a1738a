package main

import (
	"context"
	"fmt"
	"regexp"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/oncepay/oncepay/access"
	"github.com/oncepay/oncepay/internal/id"
)

func apikeyCommand(p *program) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "apikey",
		Short: "Make, list and revoke API keys",
		Long: `Make, list and revoke API keys. A key carries its tenant and its role; it is shown once, when it is made,
and only its hash is stored. These commands work beside a running server: one that owns its store is asked
through a socket beside it, a store on PostgreSQL is written to.`,
	}
	cmd.AddCommand(apikeyCreateCommand(p), apikeyListCommand(p), apikeyRevokeCommand(p))
	return cmd
}

func apikeyCreateCommand(p *program) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "create",
		Short:   "Make an API key, and print it once",
		Example: `  oncepay apikey create --tenant shop`,
	}
	settings := p.settings(cmd, "store")
	tenant := cmd.Flags().String("tenant", "", "`name` whose key it is: 1 to 64 letters, digits, '.', '_' and '-'")
	role := cmd.Flags().String("role", string(access.Full), "`what` it may do: full, or read (GET and HEAD)")
	asJSON := jsonFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		k, secret, err := newAPIKey(*tenant, *role)
		if err != nil {
			return err
		}
		err = p.withKeyring(cmd.Context(), settings, true, func(keys keyring) error { return keys.CreateAPIKey(cmd.Context(), k) })
		if err != nil {
			return err
		}
		if *asJSON {
			return p.printJSON(map[string]string{"id": k.ID, "tenant": k.Tenant, "role": string(k.Role), "key": secret})
		}
		_, err = fmt.Fprintln(p.stdout, secret)
		return err
	}
	return cmd
}

func newAPIKey(tenant, role string) (access.Key, string, error) {
	if tenant == "" {
		return access.Key{}, "", usagef("--tenant is required, such as --tenant shop")
	}
	if err := access.CheckTenant(tenant); err != nil {
		return access.Key{}, "", usagef("--tenant: %v", err)
	}
	r, err := access.ParseRole(role)
	if err != nil {
		return access.Key{}, "", usagef("--role: %v", err)
	}
	secret, now := access.NewSecret(), time.Now().UTC().Truncate(time.Microsecond)
	return access.Key{
		ID: id.NewSource(id.Seed()).New("ak_", now), Tenant: tenant, Role: r, Hash: access.HashKey(secret), CreatedAt: now,
	}, secret, nil
}

func apikeyListCommand(p *program) *cobra.Command {
	cmd := &cobra.Command{Use: "list", Short: "List API keys, without the keys themselves"}
	settings := p.settings(cmd, "store")
	asJSON := jsonFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		var all []access.Key
		err := p.withKeyring(cmd.Context(), settings, false, func(keys keyring) (err error) {
			all, err = keys.APIKeys(cmd.Context())
			return err
		})
		if err != nil {
			return err
		}
		return p.printAPIKeys(all, *asJSON)
	}
	return cmd
}

// listedKey is an API key as it is listed: without its hash.
type listedKey struct {
	ID        string     `json:"id"`
	Tenant    string     `json:"tenant"`
	Role      string     `json:"role"`
	CreatedAt time.Time  `json:"created_at"`
	RevokedAt *time.Time `json:"revoked_at"`
}

func (p *program) printAPIKeys(all []access.Key, asJSON bool) error {
	listed := make([]listedKey, len(all))
	for i, k := range all {
		listed[i] = listedKey{ID: k.ID, Tenant: k.Tenant, Role: string(k.Role), CreatedAt: k.CreatedAt}
		if !k.RevokedAt.IsZero() {
			listed[i].RevokedAt = &k.RevokedAt
		}
	}
	if asJSON {
		return p.printJSON(map[string]any{"data": listed})
	}
	w := tabwriter.NewWriter(p.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "ID\tTENANT\tROLE\tCREATED\tREVOKED")
	for _, k := range listed {
		revoked := "-"
		if k.RevokedAt != nil {
			revoked = k.RevokedAt.UTC().Format(time.RFC3339)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", k.ID, k.Tenant, k.Role, k.CreatedAt.UTC().Format(time.RFC3339), revoked)
	}
	return w.Flush()
}

// apiKeyID is what an id looks like; anything else could change the path that
// the owner is asked for.
var apiKeyID = regexp.MustCompile(`^ak_[0-9a-z]{26}$`)

func apikeyRevokeCommand(p *program) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "revoke ID",
		Short: "Revoke an API key by its id",
		Long: `Revoke an API key by its id, as "oncepay apikey list" shows it. A running server refuses it within two seconds.
A key that is revoked already stays so, and that is no error.`,
		Args: cobra.ExactArgs(1),
	}
	settings := p.settings(cmd, "store")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if !apiKeyID.MatchString(args[0]) {
			return usagef("%q is no id of an API key; they look like ak_01k… and `oncepay apikey list` shows them", args[0])
		}
		var found bool
		err := p.withKeyring(cmd.Context(), settings, false, func(keys keyring) (err error) {
			found, err = keys.RevokeAPIKey(cmd.Context(), args[0])
			return err
		})
		if err == nil && !found {
			return badNews{"there is no API key " + args[0] + "; `oncepay apikey list` shows those that there are"}
		}
		return err
	}
	return cmd
}

// withKeyring lets do work on the keys of the configured store.
// If there is no store, anew makes one.
func (p *program) withKeyring(ctx context.Context, s settings, anew bool, do func(keyring) error) (err error) {
	c, at, err := s.loadStore()
	if err != nil {
		return err
	}
	keys, closeKeys, err := openKeyring(ctx, at, anew, newLogger(p.stderr, c.log))
	if err != nil {
		return err
	}
	defer func() {
		if closed := closeKeys(); err == nil {
			err = closed
		}
	}()
	return do(keys)
}
