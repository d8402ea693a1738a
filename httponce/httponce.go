// Package httponce is the face of package once for net/http.
package httponce
