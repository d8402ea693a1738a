// Package oncepay is the root of a payments service that moves money exactly
// once. The program is in cmd/oncepay; the plan of the house is in
// ARCHITECTURE.md and is held by the test beside this file.
package oncepay
