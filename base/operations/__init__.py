"""Operations: what may be asked of Drystone, each described once for shell, HTTP and pages."""
