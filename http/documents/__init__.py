"""Invoices and credit notes as HTML and PDF documents."""
