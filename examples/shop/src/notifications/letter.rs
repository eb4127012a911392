//! What a letter says.

use crate::order::OrderPlaced;

pub(super) fn text(placed: &OrderPlaced) -> String {
    let OrderPlaced { order, customer, item, quantity, amount_cents } = placed;
    let (whole, cents) = (amount_cents / 100, amount_cents % 100);
    format!(
        "Dear {customer},\n\nthank you for your order {order}:\n\n    {quantity} x {item}    {whole}.{cents:02} EUR\n\nIt is on its way.\n\nThe shop\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_letter_names_the_order_and_what_it_costs() {
        let placed = OrderPlaced {
            order: "order-000001-test".to_owned(),
            customer: "ada".to_owned(),
            item: "sextant".to_owned(),
            quantity: 2,
            amount_cents: 49_805,
        };
        let text = text(&placed);
        for part in ["Dear ada,", "order-000001-test", "2 x sextant    498.05 EUR"] {
            assert!(text.contains(part), "{text}");
        }
    }
}
