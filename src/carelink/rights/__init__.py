"""What a patient may ask: forms of outcomes and receipts, what is kept and by which rule. Pure: no I/O, no clock."""
